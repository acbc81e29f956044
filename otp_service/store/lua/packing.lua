-- Big-endian numbers and length-prefixed text: what the packed values are made of.
-- In a format `I6` is a number of 48 bits, and `Bc0` a text behind its length. Calls are what costs here, so that
-- whatever stands together is read and written by one.
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

-- The server's time in ms.
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + floor(time[2] / 1000)
end
