"""Every Lua script of learning. Each runs atomically in Redis, or not at all.

They need one Redis (or one hash slot): a decision, the queue and the weights change together.
"""

ACCEPT_FEEDBACK = """
-- KEYS decision, feedback, counters; ARGV late window ms, queue limit, feedback json
local function count(outcome, cohort)
  redis.call('HINCRBY', KEYS[3], outcome, 1)
  return {outcome, cohort}
end
local value = redis.call('GET', KEYS[1])
if not value then return count('unknown', '') end
local state, cohort = string.match(value, '^(%S+) (%S+)')
if state == 'used' then return count('duplicate', cohort) end
if state ~= 'open' then return count('unknown', '') end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then return count('late', cohort) end
if redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[2]) then return count('refused', cohort) end
local decision = string.sub(value, string.find(value, '\\n', 1, true) + 1)
redis.call('XADD', KEYS[2], '*', 'feedback', ARGV[3], 'decision', decision)
redis.call('SET', KEYS[1], 'used ' .. cohort, 'KEEPTTL')
return count('accepted', cohort)
"""

ACQUIRE_LOCK = """
-- KEYS lock, fence; ARGV owner, lease ms
if redis.call('EXISTS', KEYS[1]) == 1 then return '' end
local token = redis.call('INCR', KEYS[2]) .. ' ' .. ARGV[1]
redis.call('SET', KEYS[1], token, 'PX', ARGV[2])
return token
"""

RENEW_LOCK = """
-- KEYS lock; ARGV token, lease ms
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

RELEASE_LOCK = """
-- KEYS lock; ARGV token
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""

_STORE_FUNCTIONS = """
local function version()
  local head = redis.call('GETRANGE', KEYS[1], 0, 31)
  return tonumber(string.match(head, '^(%d+) ') or '0')
end
local function store(number, document, channel, kept)
  redis.call('SET', KEYS[1], document)
  redis.call('HSET', KEYS[2], number, document)
  local numbers = redis.call('HKEYS', KEYS[2])
  for at = 1, #numbers do numbers[at] = tonumber(numbers[at]) end
  table.sort(numbers)
  -- The first stays: it is the warm start, the policy that everything learned is compared with.
  for at = 2, #numbers - tonumber(kept) do
    redis.call('HDEL', KEYS[2], string.format('%.0f', numbers[at]))
  end
  redis.call('PUBLISH', channel, number)
end
"""

REPLACE_WEIGHTS = (
    _STORE_FUNCTIONS
    + """
-- KEYS weights, history; ARGV expected version, version, document, channel, history kept
if version() ~= tonumber(ARGV[1]) then return 'conflict' end
store(ARGV[2], ARGV[3], ARGV[4], ARGV[5])
return 'ok'
"""
)

PUBLISH_BATCH = (
    _STORE_FUNCTIONS
    + """
-- KEYS weights, history, lock, feedback, dead, log
-- ARGV expected version, version, document, channel, history kept,
--      token, group, consumer, dead kept, log kept,
--      {"ack": [id], "dead": [[field, value, ...]], "log": [[field, value, ...]]}
if redis.call('GET', KEYS[3]) ~= ARGV[6] then return 'fenced' end
if version() ~= tonumber(ARGV[1]) then return 'conflict' end
local batch = cjson.decode(ARGV[11])
for _, id in ipairs(batch.ack) do
  local held = redis.call('XPENDING', KEYS[4], ARGV[7], id, id, 1, ARGV[8])
  if #held == 0 then return 'gone' end
end
-- Redis does not undo a script that fails half-way: what could fail comes after these two
for _, id in ipairs(batch.ack) do
  redis.call('XACK', KEYS[4], ARGV[7], id)
  redis.call('XDEL', KEYS[4], id)
end
store(ARGV[2], ARGV[3], ARGV[4], ARGV[5])
for _, entry in ipairs(batch.dead) do
  redis.call('XADD', KEYS[5], 'MAXLEN', '~', ARGV[9], '*', unpack(entry))
end
for _, entry in ipairs(batch.log) do
  redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[10], '*', unpack(entry))
end
return 'ok'
"""
)
