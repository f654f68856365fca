-- KEYS weights, history; ARGV expected version, version, document, channel, history kept
if version() ~= tonumber(ARGV[1]) then return 'conflict' end
store(ARGV[2], ARGV[3], ARGV[4], ARGV[5])
return 'ok'
