#!lua
-- needs: bytes ring attempts
-- Counts one more hosted page for a client, and for the address behind it if one is named, unless either has
-- reached its limit in ten minutes. Counts nothing if it refuses.
-- KEYS: for each scope, the address first: its count   ARGV: for each scope: limit, its name
local now, rings = clock(), {}
for i, key in ipairs(KEYS) do
  local limit = tonumber(ARGV[2 * i - 1])
  rings[i] = read_attempts(key, now)
  if sum(rings[i]) >= limit then return {'refused', ARGV[2 * i], wait_for_room(rings[i], limit, now)} end
end
for i, key in ipairs(KEYS) do
  add(rings[i], 1)
  save_attempts(key, rings[i])
end
return {'ok'}
