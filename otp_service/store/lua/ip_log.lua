-- The sends and approvals of one IP address, `otp:address:{<IP hash>}`. Times in ms.
--   format u8 = 1 | verified phones by hour: 24 buckets | unverified sends, ascending: at u48, phone hash 6 bytes
--   format u8 = 2: without the buckets, if no phone was verified, as at most IP addresses, which are homes
local HOUR, DAY, HOURS = 3600000, 86400000, 24

-- Returns the sends and, if there are any, the verified phones by hour; nil if a newer version wrote the value.
local function load_ip_log(key, now)
  local log = {sends = {}}
  local s = redis.call('GET', key)
  if not s then return log end
  local format, sends_at = byte(s, 1), 2
  if format == 1 then
    log.verified = read_buckets(s, 2, HOURS)
    advance(log.verified, floor(now / HOUR))
    sends_at = 2 + buckets_size(HOURS)
  elseif format ~= 2 then
    return nil
  end
  for at = sends_at, #s, 12 do
    local sent_at = min(read_u48(s, at), now)
    if sent_at > now - DAY then log.sends[#log.sends + 1] = {at = sent_at, phone = sub(s, at + 6, at + 11)} end
  end
  return log
end

-- Returns how many phones were verified within a day.
local function approved_count(log)
  return log.verified and sum(log.verified) or 0
end

local function save_ip_log(key, log)
  local parts = approved_count(log) > 0 and {char(1), packed_buckets(log.verified)} or {char(2)}
  for _, send in ipairs(log.sends) do parts[#parts + 1] = u48(send.at) .. send.phone end
  redis.call('SET', key, table.concat(parts), 'PX', DAY + HOUR)
end
