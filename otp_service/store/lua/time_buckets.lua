-- Counts in consecutive buckets of equal length, newest first: this hour, the previous one, and so on.
-- Packed: number of the newest bucket u32 | counts u24 each.

-- Reads all bytes with one call: a call for each number would cost more than the rest of the script.
local function read_buckets(s, at, size)
  local buckets, bytes = {newest = read_u32(s, at), size = size}, {byte(s, at + 4, at + 3 + 3 * size)}
  for i = 1, size do buckets[i] = (bytes[3 * i - 2] * 256 + bytes[3 * i - 1]) * 256 + bytes[3 * i] end
  return buckets
end

local function new_buckets(newest, size)
  local buckets = {newest = newest, size = size}
  for i = 1, size do buckets[i] = 0 end
  return buckets
end

-- Makes `newest` the newest bucket. If the clock stepped back, the buckets stay, so that nothing is forgotten.
local function advance(buckets, newest)
  local steps = min(newest - buckets.newest, buckets.size)
  if steps <= 0 then return end
  for i = buckets.size, 1, -1 do buckets[i] = buckets[i - steps] or 0 end
  buckets.newest = newest
end

local function add(buckets, count)
  buckets[1] = max(0, min(buckets[1] + count, 16777215))
end

local function sum(buckets)
  local total = 0
  for i = 1, buckets.size do total = total + buckets[i] end
  return total
end

-- Most of the older buckets are zero; they are not packed one by one.
local function packed_buckets(buckets)
  local s, last = u32(buckets.newest), buckets.size
  while last > 0 and buckets[last] == 0 do last = last - 1 end
  for i = 1, last do s = s .. u24(buckets[i]) end
  return s .. string.rep('\0', 3 * (buckets.size - last))
end

local function buckets_size(size)
  return 4 + 3 * size
end
