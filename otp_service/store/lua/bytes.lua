-- Big-endian numbers and length-prefixed text: what both packed values are made of.
local byte, char, sub, floor = string.byte, string.char, string.sub, math.floor

local function u24(n)
  return char(floor(n / 65536) % 256, floor(n / 256) % 256, n % 256)
end

local function u32(n)
  return char(floor(n / 16777216) % 256, floor(n / 65536) % 256, floor(n / 256) % 256, n % 256)
end

local function u48(n)
  return u24(floor(n / 16777216)) .. u24(n)
end

local function text(s)
  return char(#s) .. s
end

local function read_u24(s, at)
  local a, b, c = byte(s, at, at + 2)
  return (a * 256 + b) * 256 + c
end

local function read_u32(s, at)
  return byte(s, at) * 16777216 + read_u24(s, at + 1)
end

local function read_u48(s, at)
  return read_u24(s, at) * 16777216 + read_u24(s, at + 3)
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
