import Charging

// The vocabulary knows no wire; how its scalars are spelled in JSON stands here, once.

/// A JSON number in its shortest spelling. A string that spells a decimal is taken as well, because
/// partners quote their prices.
extension Decimal: Codable {
    package init(from decoder: any Decoder) throws {
        if let json = decoder as? JSONValueDecoder {
            switch json.value {
            case .number(let number):
                guard let value = number.decimal else {
                    throw json.invalid("\(number.text) has too many digits")
                }
                self = value
            case .string(let text):
                guard let value = Decimal(text) else { throw json.mismatch("number") }
                self = value
            default: throw json.mismatch("number")
            }
            return
        }
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = Decimal(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a decimal")
        }
        self = value
    }

    package func encode(to encoder: any Encoder) throws {
        if let json = encoder as? JSONValueEncoder { return json.slot.set(.number(self)) }
        var container = encoder.singleValueContainer()
        try container.encode(reduced.description)
    }
}

/// An RFC 3339 string.
extension Timestamp: Codable {
    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let value = Timestamp(rfc3339: text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "not an RFC 3339 time")
        }
        self = value
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rfc3339)
    }
}

extension JSONNumber: Codable {
    package init(from decoder: any Decoder) throws {
        guard let json = decoder as? JSONValueDecoder else {
            let container = try decoder.singleValueContainer()
            guard let number = JSONNumber(try container.decode(String.self)) else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "no number")
            }
            self = number
            return
        }
        guard let number = json.value.number else { throw json.mismatch("number") }
        self = number
    }

    package func encode(to encoder: any Encoder) throws {
        if let json = encoder as? JSONValueEncoder { return json.slot.set(.number(self)) }
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}

/// A raw value inside a Codable type stays as it came.
extension JSONValue: Codable {
    package init(from decoder: any Decoder) throws {
        if let json = decoder as? JSONValueDecoder {
            self = json.value
            return
        }
        let text = try decoder.singleValueContainer().decode(String.self)
        self = try JSONValue(parsing: text)
    }

    package func encode(to encoder: any Encoder) throws {
        if let json = encoder as? JSONValueEncoder { return json.slot.set(self) }
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}
