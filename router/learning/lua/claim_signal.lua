-- Claims a query's first signal of a kind, within its user's limit.
-- KEYS seen, user's signals; ARGV seconds to remember the query, seconds of the limit, limit
if not redis.call('SET', KEYS[1], '', 'EX', ARGV[1], 'NX') then return 'duplicate' end
local number = redis.call('INCR', KEYS[2])
if number == 1 then redis.call('EXPIRE', KEYS[2], ARGV[2]) end
if number > tonumber(ARGV[3]) then return 'capped' end
return 'first'
