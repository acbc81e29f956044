-- Replaces the library `struct` of Redis for servers that have none. Big-endian; only what the scripts use.
local struct = {}

function struct.unpack(format, s, at)
  local values, n = {}, 0
  at = at or 1
  for kind, digits in string.gmatch(format, '([xBIc])(%d*)') do
    local size = tonumber(digits) or 1
    if kind == 'c' and size == 0 then
      size, n = values[n], n - 1
    end
    if kind == 'c' then
      n = n + 1
      values[n] = string.sub(s, at, at + size - 1)
    elseif kind ~= 'x' then
      local number = 0
      for i = at, at + size - 1 do number = number * 256 + string.byte(s, i) end
      n = n + 1
      values[n] = number
    end
    at = at + size
  end
  values[n + 1] = at
  return (unpack or table.unpack)(values, 1, n + 1)
end

function struct.pack(format, ...)
  local given, parts, n = {...}, {}, 0
  for kind, digits in string.gmatch(format, '([BIc])(%d*)') do
    n = n + 1
    if kind == 'c' then
      local size = tonumber(digits)
      parts[n] = size == 0 and given[n] or string.sub(given[n], 1, size)
    else
      local number, part = tonumber(given[n]), ''
      for _ = 1, tonumber(digits) or 1 do
        part = string.char(number % 256) .. part
        number = math.floor(number / 256)
      end
      parts[n] = part
    end
  end
  return table.concat(parts)
end

