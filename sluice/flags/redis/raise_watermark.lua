#!lua flags=allow-oom
-- Leave word that a newer document than the stored one has been seen; never lower the mark.
-- KEYS: document, floor. ARGV: version, floor text.
local function version_of(text)
  return text and tonumber(string.match(text, '^{"version":(%d+)') or '0') or 0
end
local seen = tonumber(ARGV[1])
if version_of(redis.call('GET', KEYS[1])) >= seen then return 0 end
if version_of(redis.call('GET', KEYS[2])) >= seen then return 0 end
redis.call('SET', KEYS[2], ARGV[2])
return 1
