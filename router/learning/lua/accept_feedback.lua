-- Queues a feedback once, and weighs it by how much feedback its user has sent in this hour.
-- KEYS decision, feedback, counters, user's minute, user's hour
-- ARGV late window ms, queue limit, feedback json, limit per user and minute
local function count(outcome, cohort)
  redis.call('HINCRBY', KEYS[3], outcome, 1)
  return {outcome, cohort}
end
local function count_user(key, seconds)
  local number = redis.call('INCR', key)
  if number == 1 then redis.call('EXPIRE', key, seconds) end
  return number
end
local value = redis.call('GET', KEYS[1])
if not value then return count('unknown', '') end
local state, cohort = string.match(value, '^(%S+) (%S+)')
if state == 'used' then return count('duplicate', cohort) end
if state ~= 'open' then return count('unknown', '') end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then return count('late', cohort) end
if redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[2]) then return count('refused', cohort) end
local is_capped = count_user(KEYS[4], 60) > tonumber(ARGV[4])
if is_capped then
  redis.call('SET', KEYS[1], 'used ' .. cohort, 'KEEPTTL')
  return count('capped', cohort)
end
local number = count_user(KEYS[5], 3600)
local decision = string.sub(value, string.find(value, '\n', 1, true) + 1)
redis.call('XADD', KEYS[2], '*', 'feedback', ARGV[3], 'decision', decision, 'user_number', number)
redis.call('SET', KEYS[1], 'used ' .. cohort, 'KEEPTTL')
return count('accepted', cohort)
