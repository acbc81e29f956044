#!lua
-- include: packing time_buckets ten_minutes
-- Counts one more hosted page of a client, and of an IP address if one is given, unless either has reached its
-- limit in ten minutes. Then it counts nothing.
-- KEYS: the count of each scope, the IP address first   ARGV: for each scope: the limit and its name
local now, counts = clock(), {}
for i, key in ipairs(KEYS) do
  local limit = tonumber(ARGV[2 * i - 1])
  counts[i] = load_ten_minutes(key, now)
  if sum(counts[i]) >= limit then return {'refused', ARGV[2 * i], wait_for_room(counts[i], limit, now)} end
end
for i, key in ipairs(KEYS) do
  add(counts[i], 1)
  save_ten_minutes(key, counts[i])
end
return {'ok'}
