-- Add to the records of users, and return what each record held before.
-- KEYS: the records, users ever seen, and the time since which the records count.
-- ARGV: the seconds they live, and for each user: slot, lasting slot (-1: unknown), requests, failures,
-- slow edges, rated, and the log times of its answers, separated by commas.
-- The first row is the time in microseconds. It changes when the records were lost, because every
-- user counts again from then on.
-- Another row: requests, failures, slow edges, rated and ever seen as before, then for each batch of log
-- times that is complete: answers, the sum of log times before the batch, and the sum with it.
local since = redis.call("GET", KEYS[3])
if not since or redis.call("EXISTS", KEYS[1]) == 0 then
  local now = redis.call("TIME")
  since = now[1] .. string.format("%06d", now[2])
  redis.call("SET", KEYS[3], since)
end
local BITS = 64
local COMPLETE = {[1] = true, [2] = true, [4] = true, [8] = true, [16] = true}
local function get(kind, offset)
  return redis.call("BITFIELD", KEYS[1], "GET", kind, offset)[1]
end
local function set(kind, offset, value)
  redis.call("BITFIELD", KEYS[1], "OVERFLOW", "SAT", "SET", kind, offset, value)
end
local rows = {since}
for at = 2, #ARGV, 7 do
  local base = tonumber(ARGV[at]) * BITS
  local requests, failures = get("u8", base), get("u8", base + 8)
  local slow, rated = get("u4", base + 56), get("u4", base + 60)
  set("u8", base, math.min(requests + tonumber(ARGV[at + 2]), 255))
  set("u8", base + 8, math.min(failures + tonumber(ARGV[at + 3]), 255))
  set("u4", base + 56, math.max(slow, tonumber(ARGV[at + 4])))
  set("u4", base + 60, math.max(rated, tonumber(ARGV[at + 5])))
  local lasting = tonumber(ARGV[at + 1])
  local ever = lasting < 0 and 1 or redis.call("SETBIT", KEYS[2], lasting, 1)
  local row = {requests, failures, slow, rated, ever}
  if ARGV[at + 6] ~= "" then
    local answers, past, sum = get("u8", base + 16), get("u16", base + 24), get("u16", base + 40)
    for time in string.gmatch(ARGV[at + 6], "%d+") do
      if answers < 16 then
        answers, sum = answers + 1, sum + tonumber(time)
        if COMPLETE[answers] then
          row[#row + 1], row[#row + 2], row[#row + 3] = answers, past, sum
          past = sum
        end
      end
    end
    set("u8", base + 16, answers)
    set("u16", base + 24, past)
    set("u16", base + 40, sum)
  end
  rows[#rows + 1] = row
end
for _, key in ipairs(KEYS) do
  redis.call("EXPIRE", key, ARGV[1])
end
return rows
