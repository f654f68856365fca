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
