-- Add to the records of users, and return what each record held before.
-- KEYS: the records, the time since which the records count, users ever seen, their past, its totals.
-- ARGV: the seconds that records live, the seconds that what outlives them does, and for each user: slot,
-- lasting slot, whether it counts as seen, requests, failures, slow edges, and the log
-- times of its answers and its rewards, separated by commas.
-- The first row is the time in microseconds. It changes when the records were lost, because every
-- user counts again from then on. The second row has the totals of the past.
-- Another row, all as before: requests, failures, slow edges, ever seen, the number and sum of log
-- times and of rewards, the same four of the user's past, and its requests and failures in the past.
local since = redis.call("GET", KEYS[2])
if not since or redis.call("EXISTS", KEYS[1]) == 0 then
  local now = redis.call("TIME")
  since = now[1] .. string.format("%06d", now[2])
  redis.call("SET", KEYS[2], since)
end
local BITS, LOG_TIMES_MAX, REWARDS_MAX = 64, 32, 15
local function get(key, kind, offset)
  return redis.call("BITFIELD", key, "GET", kind, offset)[1]
end
local function set(kind, offset, value)
  redis.call("BITFIELD", KEYS[1], "OVERFLOW", "SAT", "SET", kind, offset, value)
end
local function add(values, count, sum, max)
  for value in string.gmatch(values, "%d+") do
    if count < max then
      count, sum = count + 1, sum + tonumber(value)
    end
  end
  return count, sum
end
local rows = {since, redis.call("HMGET", KEYS[5], "answers", "log_time", "rewards", "reward", "requests", "failures")}
for at = 3, #ARGV, 8 do
  local base, lasting = tonumber(ARGV[at]) * BITS, tonumber(ARGV[at + 1])
  local requests, failures = get(KEYS[1], "u8", base), get(KEYS[1], "u8", base + 8)
  local answers, log_time = get(KEYS[1], "u8", base + 16), get(KEYS[1], "u16", base + 24)
  local reward = get(KEYS[1], "u16", base + 40)
  local slow, rewards = get(KEYS[1], "u4", base + 56), get(KEYS[1], "u4", base + 60)
  local row = {requests, failures, slow, 1, answers, log_time, rewards, reward, 0, 0, 0, 0, 0, 0}
  set("u8", base, math.min(requests + tonumber(ARGV[at + 3]), 255))
  set("u8", base + 8, math.min(failures + tonumber(ARGV[at + 4]), 255))
  set("u4", base + 56, math.max(slow, tonumber(ARGV[at + 5])))
  answers, log_time = add(ARGV[at + 6], answers, log_time, LOG_TIMES_MAX)
  rewards, reward = add(ARGV[at + 7], rewards, reward, REWARDS_MAX)
  set("u8", base + 16, answers)
  set("u16", base + 24, log_time)
  set("u16", base + 40, reward)
  set("u4", base + 60, rewards)
  if ARGV[at + 2] == "1" then
    row[4] = redis.call("SETBIT", KEYS[3], lasting, 1)
  end
  local past = lasting * BITS
  row[9], row[10] = get(KEYS[4], "u8", past), get(KEYS[4], "u16", past + 8)
  row[11], row[12] = get(KEYS[4], "u8", past + 24), get(KEYS[4], "u16", past + 32)
  row[13], row[14] = get(KEYS[4], "u10", past + 48), get(KEYS[4], "u6", past + 58)
  rows[#rows + 1] = row
end
for number, key in ipairs(KEYS) do
  redis.call("EXPIRE", key, number <= 2 and ARGV[1] or ARGV[2])
end
return rows
