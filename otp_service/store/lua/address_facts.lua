#!lua flags=no-writes
-- needs: bytes ring address address_rules attempts
-- What is counted of an address, and what its next send to a phone of its own would meet.
-- KEYS: address, misses   ARGV: limits as of address_send.lua
local now = clock()
local log = load_address(KEYS[1], now)
if not log then return {'format'} end
local challenge, refused, wait = address_verdict(log, read_address_limits(ARGV[1]), '', now)
local misses = read_attempts(KEYS[2], now)
return {'ok', #times_since(log.sends, now - HOUR), #log.sends, #latest_of_each_phone(log.sends, ''),
        verified_of(log), sum(misses), challenge or '', refused or '', wait}
