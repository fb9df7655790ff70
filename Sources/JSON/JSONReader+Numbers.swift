import Charging

extension JSONReader {
    /// Where a number stands; its bytes follow JSON's grammar.
    @_lifetime(self: copy self)
    package mutating func number() throws(JSONError) -> JSONSlice {
        let first = try peek()
        guard first == 0x2D || isDigit(position) else {
            let isWord = (first | 0x20) >= 0x61 && (first | 0x20) <= 0x7A
            throw JSONError(isWord ? .badNumber : .unexpected(first), at: position)
        }
        let start = position
        var index = start
        if byte(index) == 0x2D { index += 1 }
        guard isDigit(index) else { throw JSONError(.badNumber, at: index) }
        if byte(index) == 0x30 {
            index += 1
            guard !isDigit(index) else { throw JSONError(.badNumber, at: index) }
        } else {
            while isDigit(index) { index += 1 }
        }
        if index < span.byteCount, byte(index) == 0x2E {
            index += 1
            guard isDigit(index) else { throw JSONError(.badNumber, at: index) }
            while isDigit(index) { index += 1 }
        }
        if index < span.byteCount, byte(index) | 0x20 == 0x65 {
            index += 1
            if index < span.byteCount, byte(index) == 0x2B || byte(index) == 0x2D { index += 1 }
            guard isDigit(index) else { throw JSONError(.badNumber, at: index) }
            while isDigit(index) { index += 1 }
        }
        guard index - start <= limits.numberBytes else {
            throw JSONError(.limit("numberBytes"), at: start)
        }
        if index < span.byteCount {
            // `12abc` and `1.2.3` are refused here, where the reason is still clear.
            switch byte(index) {
            case 0x2C, 0x5D, 0x7D, 0x20, 0x0A, 0x0D, 0x09: break
            default: throw JSONError(.badNumber, at: index)
            }
        }
        position = index
        return JSONSlice(start: start, end: index)
    }

    /// A whole number; `1.0` and `1e3` are taken, a fraction or more than 64 bits are not.
    @_lifetime(self: copy self)
    package mutating func int64() throws(JSONError) -> Int64 {
        let slice = try number()
        if let value = smallInteger(slice) { return value }
        guard let value = JSONNumber(checked: text(of: slice)).int64 else {
            throw JSONError(.numberOutOfRange, at: slice.start)
        }
        return value
    }

    @_lifetime(self: copy self)
    package mutating func int() throws(JSONError) -> Int {
        let start = position
        guard let value = Int(exactly: try int64()) else {
            throw JSONError(.numberOutOfRange, at: start)
        }
        return value
    }

    /// An exact decimal of at most 36 digits.
    @_lifetime(self: copy self)
    package mutating func decimal() throws(JSONError) -> Decimal {
        let slice = try number()
        guard let value = decimal(of: slice) else {
            throw JSONError(.numberOutOfRange, at: slice.start)
        }
        return value
    }

    /// The decimal spelled by a number or by the characters of a string; nil if it is none.
    package func decimal(of slice: JSONSlice) -> Decimal? {
        smallDecimal(slice) ?? Decimal(text(of: slice))
    }

    /// Up to 18 digits without an exponent, which is what meters send: no allocation.
    private func smallDecimal(_ slice: JSONSlice) -> Decimal? {
        var index = slice.start
        guard index < slice.end, slice.end - index <= 20 else { return nil }
        let isNegative = byte(index) == 0x2D
        if isNegative { index += 1 }
        var (value, digits, scale, seenPoint) = (Int64(0), 0, 0, false)
        while index < slice.end {
            let c = byte(index)
            index += 1
            if c == 0x2E, !seenPoint, digits > 0 {
                seenPoint = true
                continue
            }
            let digit = c &- 0x30
            guard digit <= 9, digits < 18 else { return nil }
            value = value &* 10 &+ Int64(digit)
            digits += 1
            if seenPoint { scale += 1 }
        }
        guard digits > 0 else { return nil }
        return Decimal(significand: Int128(isNegative ? -value : value), scale: scale)
    }

    private func smallInteger(_ slice: JSONSlice) -> Int64? {
        var index = slice.start
        let isNegative = byte(index) == 0x2D
        if isNegative { index += 1 }
        guard slice.end - index <= 18 else { return nil }
        var value: Int64 = 0
        while index < slice.end {
            let digit = byte(index) &- 0x30
            guard digit <= 9 else { return nil }
            value = value &* 10 &+ Int64(digit)
            index += 1
        }
        return isNegative ? -value : value
    }

    private func isDigit(_ index: Int) -> Bool {
        index < span.byteCount && byte(index) &- 0x30 <= 9
    }

    /// One value as a tree.
    @_lifetime(self: copy self)
    package mutating func value() throws(JSONError) -> JSONValue {
        guard span.byteCount <= limits.bytes else { throw JSONError(.limit("bytes"), at: 0) }
        values += 1
        guard values <= limits.values else { throw JSONError(.limit("values"), at: position) }
        switch try peek() {
        case 0x22: return .string(try string())
        case 0x7B: return .object(try members())
        case 0x5B: return .array(try elements())
        case 0x74, 0x66: return .bool(try bool())
        case 0x6E:
            try null()
            return .null
        default: return .number(JSONNumber(checked: text(of: try number())))
        }
    }

    @_lifetime(self: copy self)
    private mutating func members() throws(JSONError) -> [String: JSONValue] {
        var members: [String: JSONValue] = [:]
        try object { reader, slice throws(JSONError) in
            let key = reader.text(of: slice)
            do throws(JSONError) {
                let value = try reader.value()
                guard members.updateValue(value, forKey: key) == nil else {
                    throw JSONError(.duplicateKey(key), at: slice.start)
                }
            } catch {
                throw error.inside(JSONPath.step(key))
            }
        }
        return members
    }

    @_lifetime(self: copy self)
    private mutating func elements() throws(JSONError) -> [JSONValue] {
        var elements: [JSONValue] = []
        try array { reader throws(JSONError) in
            do throws(JSONError) {
                elements.append(try reader.value())
            } catch {
                throw error.inside(JSONPath.step(elements.count))
            }
        }
        return elements
    }
}
