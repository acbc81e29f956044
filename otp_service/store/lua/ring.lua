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
  local steps = min(span - ring.span, ring.size)
  if steps <= 0 then return end
  for i = ring.size, 1, -1 do ring[i] = ring[i - steps] or 0 end
  ring.span = span
end

local function add(ring, count)
  ring[1] = max(0, min(ring[1] + count, 16777215))
end

local function sum(ring)
  local total = 0
  for i = 1, ring.size do total = total + ring[i] end
  return total
end

-- In most of the older spans nothing happened: they are not packed one by one.
local function packed_ring(ring)
  local s, last = u32(ring.span), ring.size
  while last > 0 and ring[last] == 0 do last = last - 1 end
  for i = 1, last do s = s .. u24(ring[i]) end
  return s .. string.rep('\0', 3 * (ring.size - last))
end

local function ring_bytes(size)
  return 4 + 3 * size
end
