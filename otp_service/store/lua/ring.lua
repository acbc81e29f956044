-- Counts in a row of equal spans, newest first: what happened in this hour, in the last one, and so on.
-- Packed: number of the newest span u32 | counts u24 each.

local function read_ring(s, at, size)
  local ring = {span = read_u32(s, at), size = size}
  for i = 1, size do ring[i] = read_u24(s, at + 1 + 3 * i) end
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
  local parts = {u32(ring.span)}
  for i = 1, ring.size do parts[i + 1] = u24(ring[i]) end
  return table.concat(parts)
end

local function ring_bytes(size)
  return 4 + 3 * size
end
