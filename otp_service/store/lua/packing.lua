-- Packs and unpacks big-endian numbers and length-prefixed text.
-- In formats of `struct`, `I6` is a number of 48 bits and `Bc0` is text after its length. Each call into `struct`
-- costs time, so adjacent fields are packed by one call.
local pack, unpack = struct.pack, struct.unpack
local byte, char, sub, floor, min, max = string.byte, string.char, string.sub, math.floor, math.min, math.max

local function u24(n)
  return pack('>I3', n)
end

local function u32(n)
  return pack('>I4', n)
end

local function u48(n)
  return pack('>I6', n)
end

local function read_u24(s, at)
  return (unpack('>I3', s, at))
end

local function read_u32(s, at)
  return (unpack('>I4', s, at))
end

local function read_u48(s, at)
  return (unpack('>I6', s, at))
end

-- Returns the server's time in ms.
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + floor(time[2] / 1000)
end
