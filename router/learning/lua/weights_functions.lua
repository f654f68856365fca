-- Functions that replace_weights.lua and publish_batch.lua are prefixed with.
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
