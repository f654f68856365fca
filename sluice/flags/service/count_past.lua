-- Add to what users' values were before the rollout.
-- KEYS: the past, and its totals.
-- ARGV: the seconds they live, and for each user: lasting slot, the log times of its answers and
-- its rewards, separated by commas, and the numbers of its requests and failures.
-- Where there are more values or requests than are kept, the earlier ones count half.
local BITS, KEPT_MAX, REQUESTS_MAX = 64, 50, 1000
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
local function add_requests(requests, failures, offset)
  local kept, failed = get("u10", offset), get("u6", offset + 10)
  if kept + requests > REQUESTS_MAX then
    kept, failed = math.floor(kept / 2), math.floor(failed / 2)
  end
  redis.call(
    "BITFIELD", KEYS[1], "OVERFLOW", "SAT",
    "SET", "u10", offset, math.min(kept + requests, 1023), "SET", "u6", offset + 10, math.min(failed + failures, 63)
  )
  redis.call("HINCRBY", KEYS[2], "requests", requests)
  redis.call("HINCRBY", KEYS[2], "failures", failures)
end
for at = 2, #ARGV, 5 do
  local base = tonumber(ARGV[at]) * BITS
  add(ARGV[at + 1], base, {"answers", "log_time"})
  add(ARGV[at + 2], base + 24, {"rewards", "reward"})
  add_requests(tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), base + 48)
end
for _, key in ipairs(KEYS) do
  redis.call("EXPIRE", key, ARGV[1])
end
