-- The nearest questions, and the answer of the very nearest, which most often is the match.
-- KEYS vectors, prefix of entries; ARGV vector, count, search effort, least similarity, rival margin
local found = redis.call('VSIM', KEYS[1], 'FP32', ARGV[1], 'WITHSCORES', 'WITHATTRIBS',
                         'COUNT', ARGV[2], 'EF', ARGV[3])
local near, body = {}, {}
for place = 1, #found, 3 do
  if tonumber(found[place + 1]) < tonumber(found[2]) - tonumber(ARGV[5]) then break end
  near[#near + 1] = found[place]
  near[#near + 1] = found[place + 2]
end
if found[1] and tonumber(found[2]) >= tonumber(ARGV[4]) then
  body = redis.call('HGETALL', KEYS[2] .. found[1])
end
return {near, body}
