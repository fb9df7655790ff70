/// A version of OCPP over JSON; the raw value is its WebSocket subprotocol. OCPP-J 1.6 §3.2.
package enum ProtocolVersion: String, Hashable, Sendable, CaseIterable {
    case v16 = "ocpp1.6"
    case v201 = "ocpp2.0.1"

    package var subprotocol: String { rawValue }

    /// For people.
    package var name: String {
        switch self {
        case .v16: "OCPP 1.6"
        case .v201: "OCPP 2.0.1"
        }
    }

    /// Reads one entry of Sec-WebSocket-Protocol; case and blanks around it do not matter.
    package init?(subprotocol text: some StringProtocol) {
        let name = text.lowercased().filter { $0 != " " && $0 != "\t" }
        guard let version = ProtocolVersion(rawValue: name) else { return nil }
        self = version
    }
}

/// Every limit of the OCPP wire, in one place.
package enum OCPPLimits {
    /// Bytes of one message. Larger ones end the connection with 1009.
    package static let messageBytes = 1 << 20
    /// Nested arrays and objects in one message.
    package static let depth = 32
    /// Characters of a message id we still echo.
    package static let messageIDCharacters = 255
    /// Characters of an id in the specification. OCPP-J 1.6 §4.1.4.
    package static let messageIDCharactersByTheBook = 36
    /// Characters of a CALLERROR's description.
    package static let errorDescriptionCharacters = 255
    /// Characters kept of any text a peer sends, unless a field has its own bound.
    package static let textCharacters = 255
    /// Readings in one MeterValues, samples in one reading; more are dropped and counted.
    package static let readings = 1000
    package static let samples = 200
    /// Answers remembered per connection for repeated message ids.
    package static let rememberedReplies = 8
    /// Bytes of the answers remembered per connection; larger answers are not remembered.
    package static let rememberedReplyBytes = 4096
    /// Calls waiting for one station, the one under way included.
    package static let queuedCalls = 64
    /// Settings in one answer to GetConfiguration.
    package static let settings = 1000
}
