-- One answer, and the names of the entries that are due to go: one command instead of one per source.
-- KEYS entry, order, vectors, then one set per source
-- ARGV seconds to live, now, digest, question, answer, decision, vector or '', attributes, batch
local ttl, now, digest = ARGV[1], ARGV[2], ARGV[3]
redis.call('HSET', KEYS[1], 'query', ARGV[4], 'answer', ARGV[5], 'decision', ARGV[6])
redis.call('EXPIRE', KEYS[1], ttl)
redis.call('ZADD', KEYS[2], now, digest)
redis.call('EXPIRE', KEYS[2], ttl)  -- nothing stays of a scope that nobody uses
for place = 4, #KEYS do
  redis.call('SADD', KEYS[place], KEYS[1])
  redis.call('EXPIRE', KEYS[place], ttl)
end
local failure = ''
if ARGV[7] ~= '' then
  local added = redis.pcall('VADD', KEYS[3], 'FP32', ARGV[7], digest, 'BIN', 'SETATTR', ARGV[8])
  if type(added) == 'table' and added.err then
    failure = added.err
  else
    redis.call('EXPIRE', KEYS[3], ttl)
  end
end
local expired = redis.call('ZRANGE', KEYS[2], '-inf', now - ttl, 'BYSCORE', 'LIMIT', 0, ARGV[9])
return {expired, redis.call('ZCARD', KEYS[2]), failure}
