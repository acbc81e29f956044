#!lua
-- needs: bytes row record
-- Ends a pending verification; canceling a canceled one changes nothing.
-- KEYS: row, record   ARGV: verification, client, asking, 1 if only who opened it may reach it
local now = clock()
local record = load_record(KEYS[2])
if not is_of(record, ARGV[2]) then return record == false and {'format'} or {'verification_not_found'} end
local row = load_row(KEYS[1], now)
if not row then return {'format'} end
if ARGV[4] == '1' and not is_opened_by(row, ARGV[1], (read_asking(ARGV[3], row))) then
  return {'verification_not_found'}
end
local why = ended(record, ARGV[2], now)
if why == 'verification_canceled' then return {'ok'} end
if why then return {why} end
record.state = 'c'
end_live(row, ARGV[1])
note_end(row, ARGV[1], 'c')
save_record(KEYS[2], record, now)
save_row(KEYS[1], row, now)
return {'ok'}
