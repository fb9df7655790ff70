/// Where an encoder puts its value. A class, because containers are handed out and filled later.
final class JSONSlot {
    private enum Content {
        case nothing
        case value(JSONValue)
        case object([String: JSONSlot])
        case array([JSONSlot])
    }
    private var content = Content.nothing

    /// What was written; nil when nothing was.
    var value: JSONValue? {
        switch content {
        case .nothing: nil
        case .value(let value): value
        case .object(let members): .object(members.compactMapValues(\.value))
        case .array(let elements): .array(elements.map { $0.value ?? .object([:]) })
        }
    }

    func set(_ value: JSONValue) { content = .value(value) }

    func makeObject() { if case .object = content {} else { content = .object([:]) } }
    func makeArray() { if case .array = content {} else { content = .array([]) } }

    func member(_ key: String) -> JSONSlot {
        var members: [String: JSONSlot] = [:]
        if case .object(let old) = content { members = old }
        content = .nothing
        let slot = members[key] ?? JSONSlot()
        members[key] = slot
        content = .object(members)
        return slot
    }

    func append() -> JSONSlot {
        var elements: [JSONSlot] = []
        if case .array(let old) = content { elements = old }
        content = .nothing
        let slot = JSONSlot()
        elements.append(slot)
        content = .array(elements)
        return slot
    }

    var count: Int { if case .array(let elements) = content { elements.count } else { 0 } }
}

/// `Encoder` that builds a `JSONValue`.
struct JSONValueEncoder: Encoder, SingleValueEncodingContainer {
    let slot: JSONSlot
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    static func box(_ value: some Encodable, codingPath: [any CodingKey]) throws -> JSONValue {
        if let value = value as? JSONValue { return value }
        let slot = JSONSlot()
        try value.encode(to: JSONValueEncoder(slot: slot, codingPath: codingPath))
        return slot.value ?? .object([:])
    }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        slot.makeObject()
        return KeyedEncodingContainer(JSONKeyedEncoding(slot: slot, codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        slot.makeArray()
        return JSONUnkeyedEncoding(slot: slot, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { self }

    func encodeNil() throws { slot.set(.null) }
    func encode(_ value: Bool) throws { slot.set(.bool(value)) }
    func encode(_ value: String) throws { slot.set(.string(value)) }
    func encode(_ value: Double) throws {
        guard let number = JSONNumber("\(value)") else {
            throw JSONCodingError.invalid(
                path: JSONCodingError.path(codingPath), reason: "\(value) has no JSON spelling")
        }
        slot.set(.number(number))
    }
    func encode(_ value: Float) throws { try encode(Double(value)) }
    func encode(_ value: Int) throws { slot.set(.number(value)) }
    func encode(_ value: Int8) throws { slot.set(.number(value)) }
    func encode(_ value: Int16) throws { slot.set(.number(value)) }
    func encode(_ value: Int32) throws { slot.set(.number(value)) }
    func encode(_ value: Int64) throws { slot.set(.number(value)) }
    func encode(_ value: UInt) throws { slot.set(.number(value)) }
    func encode(_ value: UInt8) throws { slot.set(.number(value)) }
    func encode(_ value: UInt16) throws { slot.set(.number(value)) }
    func encode(_ value: UInt32) throws { slot.set(.number(value)) }
    func encode(_ value: UInt64) throws { slot.set(.number(value)) }
    func encode<T: Encodable>(_ value: T) throws {
        slot.set(try Self.box(value, codingPath: codingPath))
    }
}

struct JSONKeyedEncoding<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let slot: JSONSlot
    let codingPath: [any CodingKey]

    private func member(_ key: any CodingKey) -> JSONValueEncoder {
        JSONValueEncoder(slot: slot.member(key.stringValue), codingPath: codingPath + [key])
    }

    func encodeNil(forKey key: Key) throws { try member(key).encodeNil() }
    func encode(_ value: Bool, forKey key: Key) throws { try member(key).encode(value) }
    func encode(_ value: String, forKey key: Key) throws { try member(key).encode(value) }
    func encode(_ value: Double, forKey key: Key) throws { try member(key).encode(value) }
    func encode(_ value: Float, forKey key: Key) throws { try member(key).encode(value) }
    func encode(_ value: Int, forKey key: Key) throws { try member(key).encode(value) }
    func encode(_ value: Int8, forKey key: Key) throws { try member(key).encode(value) }
    func encode(_ value: Int16, forKey key: Key) throws { try member(key).encode(value) }
    func encode(_ value: Int32, forKey key: Key) throws { try member(key).encode(value) }
    func encode(_ value: Int64, forKey key: Key) throws { try member(key).encode(value) }
    func encode(_ value: UInt, forKey key: Key) throws { try member(key).encode(value) }
    func encode(_ value: UInt8, forKey key: Key) throws { try member(key).encode(value) }
    func encode(_ value: UInt16, forKey key: Key) throws { try member(key).encode(value) }
    func encode(_ value: UInt32, forKey key: Key) throws { try member(key).encode(value) }
    func encode(_ value: UInt64, forKey key: Key) throws { try member(key).encode(value) }
    func encode<T: Encodable>(_ value: T, forKey key: Key) throws { try member(key).encode(value) }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> { member(key).container(keyedBy: type) }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
        member(key).unkeyedContainer()
    }

    func superEncoder() -> any Encoder { member(JSONKey(stringValue: "super")) }
    func superEncoder(forKey key: Key) -> any Encoder { member(key) }
}

struct JSONUnkeyedEncoding: UnkeyedEncodingContainer {
    let slot: JSONSlot
    let codingPath: [any CodingKey]
    var count: Int { slot.count }

    private func next() -> JSONValueEncoder {
        let key = JSONKey(intValue: slot.count)
        return JSONValueEncoder(slot: slot.append(), codingPath: codingPath + [key])
    }

    func encodeNil() throws { try next().encodeNil() }
    func encode(_ value: Bool) throws { try next().encode(value) }
    func encode(_ value: String) throws { try next().encode(value) }
    func encode(_ value: Double) throws { try next().encode(value) }
    func encode(_ value: Float) throws { try next().encode(value) }
    func encode(_ value: Int) throws { try next().encode(value) }
    func encode(_ value: Int8) throws { try next().encode(value) }
    func encode(_ value: Int16) throws { try next().encode(value) }
    func encode(_ value: Int32) throws { try next().encode(value) }
    func encode(_ value: Int64) throws { try next().encode(value) }
    func encode(_ value: UInt) throws { try next().encode(value) }
    func encode(_ value: UInt8) throws { try next().encode(value) }
    func encode(_ value: UInt16) throws { try next().encode(value) }
    func encode(_ value: UInt32) throws { try next().encode(value) }
    func encode(_ value: UInt64) throws { try next().encode(value) }
    func encode<T: Encodable>(_ value: T) throws { try next().encode(value) }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type
    ) -> KeyedEncodingContainer<Nested> { next().container(keyedBy: type) }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { next().unkeyedContainer() }
    func superEncoder() -> any Encoder { next() }
}
