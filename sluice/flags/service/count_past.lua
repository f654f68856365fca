-- Add to what users' values were before the rollout.
-- KEYS: the past, and its totals.
-- ARGV: the seconds they live, and for each user: lasting slot, and the log times of its answers and
-- its rewards, separated by commas.
-- Where there are more values than are kept, the earlier ones count half.
local BITS, KEPT_MAX = 64, 50
local function get(kind, offset)
  return redis.call("BITFIELD", KEYS[1], "GET", kind, offset)[1]
end
local function add(values, offset, names)
  local count, sum = get("u8", offset), get("u16", offset + 8)
  local more, total = 0, 0
  for value in string.gmatch(values, "%d+") do
    if count >= KEPT_MAX then
      count, sum = math.floor(count / 2), math.floor(sum * math.floor(count / 2) / count)
    end
    count, sum = count + 1, sum + tonumber(value)
    more, total = more + 1, total + tonumber(value)
  end
  if more > 0 then
    redis.call(
      "BITFIELD", KEYS[1], "OVERFLOW", "SAT", "SET", "u8", offset, count, "SET", "u16", offset + 8, sum
    )
    redis.call("HINCRBY", KEYS[2], names[1], more)
    redis.call("HINCRBY", KEYS[2], names[2], total)
  end
end
for at = 2, #ARGV, 3 do
  local base = tonumber(ARGV[at]) * BITS
  add(ARGV[at + 1], base, {"answers", "log_time"})
  add(ARGV[at + 2], base + 24, {"rewards", "reward"})
end
for _, key in ipairs(KEYS) do
  redis.call("EXPIRE", key, ARGV[1])
end
