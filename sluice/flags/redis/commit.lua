#!lua flags=allow-oom
-- Replace the flag document if nothing changed since it was read; audit and announce with it.
-- KEYS: document, watermark, audit stream.
-- ARGV: version and watermark text as read, new document, channel, audit length,
--       then for each audit entry (there may be none): '1' when its write may land without it (the
--       write takes the treatment away) or '0', and its nine fields with their values.
local function text_of(key)
  local value = redis.pcall('GET', key)
  if type(value) == 'table' then return 'another type' end -- the reply of a key that holds no string
  return value
end
local stored = text_of(KEYS[1])
local version = '0'
if stored then version = string.match(stored, '^{"version":(%d+)[,}]') or 'unreadable' end
if version ~= ARGV[1] then return 0 end
if (text_of(KEYS[2]) or '') ~= ARGV[2] then return 0 end
-- The audit entries go first: if the stream refuses them, nothing has been written yet.
for at = 6, #ARGV, 19 do
  local added = redis.pcall('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], '*', unpack(ARGV, at + 1, at + 18))
  if type(added) == 'table' and added.err and ARGV[at] ~= '1' then return added end
end
redis.call('SET', KEYS[1], ARGV[3])
-- A user without the channel's permission still writes; readers then learn of it by their poll.
redis.pcall('PUBLISH', ARGV[4], ARGV[3])
return 1
