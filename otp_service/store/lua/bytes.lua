-- Big-endian numbers and length-prefixed text: what the packed values are made of.
-- Calls are what costs here, so that a number is read by one of `byte` and written by one of `char`.
local byte, char, sub, floor, min, max = string.byte, string.char, string.sub, math.floor, math.min, math.max

local function u24(n)
  return char(floor(n / 65536), floor(n / 256) % 256, n % 256)
end

local function u32(n)
  if n == 0 then return '\0\0\0\0' end
  return char(floor(n / 16777216), floor(n / 65536) % 256, floor(n / 256) % 256, n % 256)
end

local function u48(n)
  if n == 0 then return '\0\0\0\0\0\0' end
  local high, low = floor(n / 16777216), n % 16777216
  return char(floor(high / 65536), floor(high / 256) % 256, high % 256,
              floor(low / 65536), floor(low / 256) % 256, low % 256)
end

local function text(s)
  return char(#s) .. s
end

local function read_u24(s, at)
  local a, b, c = byte(s, at, at + 2)
  return (a * 256 + b) * 256 + c
end

local function read_u32(s, at)
  local a, b, c, d = byte(s, at, at + 3)
  return ((a * 256 + b) * 256 + c) * 256 + d
end

local function read_u48(s, at)
  local a, b, c, d, e, f = byte(s, at, at + 5)
  return ((((a * 256 + b) * 256 + c) * 256 + d) * 256 + e) * 256 + f
end

-- Returns the text and the place after it.
local function read_text(s, at)
  local last = at + byte(s, at)
  return sub(s, at + 1, last), last + 1
end

-- The server's time in ms.
local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000 + floor(time[2] / 1000)
end
