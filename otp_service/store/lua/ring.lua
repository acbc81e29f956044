-- Counts in a row of equal spans, newest first: what happened in this hour, in the last one, and so on.
-- Packed: number of the newest span u32 | counts u24 each.

-- All bytes at once: a call for each number would cost more than the rest of a script.
local function read_ring(s, at, size)
  local ring, bytes = {span = read_u32(s, at), size = size}, {byte(s, at + 4, at + 3 + 3 * size)}
  for i = 1, size do ring[i] = (bytes[3 * i - 2] * 256 + bytes[3 * i - 1]) * 256 + bytes[3 * i] end
  return ring
end

local function new_ring(span, size)
  local ring = {span = span, size = size}
  for i = 1, size do ring[i] = 0 end
  return ring
end

-- Moves the row on to `span`. A clock that stepped back leaves it where it is: nothing is forgotten.
local function roll(ring, span)
  local steps = math.min(span - ring.span, ring.size)
  if steps <= 0 then return end
  for i = ring.size, 1, -1 do ring[i] = ring[i - steps] or 0 end
  ring.span = span
end

local function add(ring, count)
  ring[1] = math.max(0, math.min(ring[1] + count, 16777215))
end

local function sum(ring)
  local total = 0
  for i = 1, ring.size do total = total + ring[i] end
  return total
end

local function packed_ring(ring)
  local bytes = {}
  for i = 1, ring.size do
    local n = ring[i]
    bytes[3 * i - 2], bytes[3 * i - 1], bytes[3 * i] = floor(n / 65536), floor(n / 256) % 256, n % 256
  end
  return u32(ring.span) .. char(unpack(bytes))
end

local function ring_bytes(size)
  return 4 + 3 * size
end
