#!lua
-- include: packing phone_state verification
-- Counts one attempt, then compares digests. The digests are keyed, so the duration of `==` reveals nothing.
-- A lock of the phone does not apply here: an attacker cannot block a verification that is already open.
-- KEYS: phone state, verification
-- ARGV: verification hash, client, requester, 1 if only the requester that opened it may reach it, code types that
--       the submitted text could be, fingerprint of this call ('' if it is never repeated), time of the call in ms,
--       then pairs of key id and digest
local now = clock()
local record = load_verification(KEYS[2])
local verification_hash, client, call, at = ARGV[1], ARGV[2], ARGV[6], ARGV[7]
if not belongs_to(record, client) then return record == false and {'format'} or {'verification_not_found'} end
local phone = load_phone(KEYS[1], now)
if not phone then return {'format'} end
local requester = read_requester(ARGV[3], phone)
local route = #record.sends > 0 and record.sends[#record.sends].route or ''
if ARGV[4] == '1' and not is_opened_by(phone, verification_hash, requester) then return {'verification_not_found'} end
if record.state == 'a' then
  local by, approved_at = unpack('>Bc0I6', record.approval)
  if call ~= '' and by == call then
    -- This call approved it and its response was lost. The record is written again, so that WAIT has a write to
    -- wait for.
    save_verification(KEYS[2], record, now)
    return {'ok', record.purpose, 0, approved_at, 1, 0, route}
  end
end
local why = end_reason(record, now)
if why then return {why} end
if not string.find(ARGV[5], record.code_type, 1, true) then return {'invalid_code'} end

local right = false
for i = 8, #ARGV, 2 do
  right = right or (ARGV[i] == record.kid and ARGV[i + 1] == record.digest)
end
record.attempts_left = record.attempts_left - 1
if right then
  record.state, record.approval = 'a', pack('>Bc0I6', #call, call, at)
  phone.untrusted_failures, phone.trusted_failures = 0, 0
  phone.restricted_verifications, phone.last_approved_at = {}, now
  local first = find_send(phone, verification_hash, 1)
  -- A server may name the requester only when it requests the code.
  if requester == NO_REQUESTER and first then requester = sub(first.reference, 1, 12) end
  remember_requester(phone, requester, now)
  remove_open(phone, verification_hash)
else
  local open, entry = find_open(phone, verification_hash), find_restricted(phone, verification_hash)
  local trusted = open ~= nil and open.trusted
  if trusted then
    phone.trusted_failures = min(phone.trusted_failures + 1, 255)
  else
    phone.untrusted_failures = min(phone.untrusted_failures + 1, 255)
  end
  phone.failures[#phone.failures + 1] = {at = now, trusted = trusted}
  if open then open.attempts = record.attempts_left end
  if entry then entry.has_failed = true end
  if record.attempts_left == 0 then
    record.state = 'x'
    remove_open(phone, verification_hash)
  end
end
if record.state ~= 'p' then set_ended(phone, verification_hash, record.state) end
save_verification(KEYS[2], record, now)
save_phone(KEYS[1], phone, now)
local wrong = record.attempts_allowed - record.attempts_left - 1
if right then
  return {'ok', record.purpose, wrong, tonumber(at), 0, max(0, now - record.issued_at), route}
end
return {'wrong_code', record.attempts_left}
