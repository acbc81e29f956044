#!lua flags=no-writes
-- needs: bytes ring address
-- What is counted of an address. KEYS: address
local now = clock()
local log = load_address(KEYS[1], now)
if not log then return {'format'} end
local sends = {}
for i, send in ipairs(log.sends) do sends[i] = send.at end
return {'ok', now, sum(log.verified), sends}
