/// A way in which a peer departs from the specification and is understood all the same.
///
/// Each one is counted per station, so that an operator sees which charger needs a firmware update.
/// The raw value is the counter's name.
package enum Deviation: String, Hashable, Sendable, CaseIterable {
    case messageIDNotText = "message-id-not-text"
    case messageIDTooLong = "message-id-too-long"
    case messageIDReused = "message-id-reused"
    case messageRepeated = "message-repeated"
    case payloadMissing = "payload-missing"
    case brokenJSON = "broken-json"
    case messageTypeUnknown = "message-type-unknown"
    case answerNobodyWaitsFor = "answer-nobody-waits-for"
    case binaryFrame = "binary-frame"
    case paddedMessage = "padded-message"
    case unknownField = "unknown-field"
    case unknownEnumValue = "unknown-enum-value"
    case textTooLong = "text-too-long"
    case textForNumber = "text-for-number"
    case numberForText = "number-for-text"
    case fractionForInteger = "fraction-for-integer"
    case sampleUnreadable = "sample-unreadable"
    case decimalComma = "decimal-comma"
    case emptyList = "empty-list"
    case objectForList = "object-for-list"
    case listTooLong = "list-too-long"
    case nullField = "null-field"
    case timestampWithoutZone = "timestamp-without-zone"
    case timestampUnreadable = "timestamp-unreadable"
    case timestampMissing = "timestamp-missing"
    case connectorOutOfRange = "connector-out-of-range"
    /// A time before 2015: the station boots without a clock.
    case clockUnset = "clock-unset"
    case transactionIDUnset = "transaction-id-unset"
    case textPadded = "text-padded"
    case statusOfStation = "status-of-station"
    case numberClamped = "number-clamped"
    case subprotocolMissing = "subprotocol-missing"
    case userNotStation = "user-not-station"
    case passwordAsHex = "password-as-hex"
    /// The path of its connection is not the one it was given: other letters, more slashes, a prefix.
    case idSpelledOtherwise = "id-spelled-otherwise"
    case callBeforeAccepted = "call-before-accepted"
    /// A limit with more digits than the one it may have.
    case digitsTooMany = "digits-too-many"
    /// U+0000 in a text, as from a fixed buffer: left out.
    case nulCharacter = "nul-character"
    /// Faster than a station may send: it was not read for a while.
    case tooManyMessages = "too-many-messages"

    /// What a strict station's message is answered with; nil where it is legal all the same, or not
    /// answered at all.
    package var strictCode: CallError.Code? {
        switch self {
        case .messageIDNotText, .messageIDTooLong, .payloadMissing, .unknownField, .brokenJSON:
            .formationViolation
        case .unknownEnumValue, .textTooLong, .sampleUnreadable, .decimalComma,
            .timestampWithoutZone, .timestampUnreadable, .connectorOutOfRange, .textPadded,
            .statusOfStation, .numberClamped, .digitsTooMany, .nulCharacter, .clockUnset:
            .propertyViolation
        case .textForNumber, .numberForText, .fractionForInteger, .nullField, .objectForList:
            .typeViolation
        case .emptyList, .listTooLong: .occurrenceViolation
        case .timestampMissing: .missingField
        case .callBeforeAccepted: .securityError
        case .messageIDReused, .messageRepeated, .messageTypeUnknown, .answerNobodyWaitsFor,
            .binaryFrame, .paddedMessage, .transactionIDUnset, .subprotocolMissing,
            .userNotStation, .passwordAsHex, .idSpelledOtherwise, .tooManyMessages:
            nil
        }
    }
}

/// A set of deviations in one machine word: the hot path counts without allocating.
package struct Deviations: Hashable, Sendable {
    private var bits: UInt64 = 0

    package init() {}

    package init(_ deviations: Deviation...) { for each in deviations { insert(each) } }

    package var isEmpty: Bool { bits == 0 }

    package mutating func insert(_ deviation: Deviation) { bits |= 1 << Self.index(deviation) }

    package mutating func remove(_ deviation: Deviation) { bits &= ~(1 << Self.index(deviation)) }

    package mutating func formUnion(_ other: Deviations) { bits |= other.bits }

    package func contains(_ deviation: Deviation) -> Bool {
        bits & (1 << Self.index(deviation)) != 0
    }

    /// In declaration order.
    package var all: [Deviation] { Deviation.allCases.filter(contains) }

    /// A strict station's message is dropped with these.
    package var isOfNoTextFrame: Bool { contains(.binaryFrame) || contains(.paddedMessage) }

    /// The first code a strict station would be answered with.
    package var strictCode: CallError.Code? { all.lazy.compactMap(\.strictCode).first }

    private static func index(_ deviation: Deviation) -> UInt64 {
        // Deviation has text raw values; its position is its bit.
        UInt64(positions[deviation] ?? 0)
    }

    private static let positions: [Deviation: Int] = Dictionary(
        uniqueKeysWithValues: zip(Deviation.allCases, 0...))
}

/// What was read, and what had to be forgiven to read it.
package struct Decoded<Value: Sendable>: Sendable {
    package var value: Value
    package var deviations: Deviations

    package init(_ value: Value, _ deviations: Deviations = Deviations()) {
        self.value = value
        self.deviations = deviations
    }
}

extension Decoded: Equatable where Value: Equatable {}
