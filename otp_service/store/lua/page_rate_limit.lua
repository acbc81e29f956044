#!lua
-- include: packing time_buckets ten_minutes
-- Counts one more hosted page for a client, and for the address behind it if one is named, unless either has
-- reached its limit in ten minutes. Counts nothing if it refuses.
-- KEYS: for each scope, the address first: its count   ARGV: for each scope: limit, its name
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
