#!lua
-- needs: bytes row record
-- Ends a pending verification; canceling a canceled one changes nothing.
-- KEYS: row, record   ARGV: verification_id, client
local now = clock()
local record = load_record(KEYS[2])
local why = ended(record, ARGV[2], now)
if why == 'verification_canceled' then return {'ok'} end
if why then return {why} end
local row = load_row(KEYS[1], now)
if not row then return {'format'} end
record.state = 'c'
end_live(row, ARGV[1])
save_record(KEYS[2], record, now)
save_row(KEYS[1], row, now)
return {'ok'}
