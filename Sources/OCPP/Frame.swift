/// One OCPP-J message: an RPC frame around a payload that stays where it lies. OCPP-J 1.6 §4.2.
package struct Frame: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        case call(action: String)
        case result
        case error(CallError)
    }

    package var kind: Kind
    package var id: MessageID
    /// The payload's bytes within the message; empty where the peer left it out or sent null.
    package var payload: Range<Int>
    package var deviations: Deviations

    package init(
        _ kind: Kind, id: MessageID, payload: Range<Int>, deviations: Deviations = Deviations()
    ) {
        self.kind = kind
        self.id = id
        self.payload = payload
        self.deviations = deviations
    }
}

/// Why a message is no frame, and what can be said to its sender.
package enum FrameError: Error, Hashable, Sendable {
    /// A CALL whose id could be read although the rest could not: answer it with this error.
    case answerable(MessageID, CallError)
    /// Nobody to answer. 1.6 is silent; 2.x answers `RpcFrameworkError` to id "-1".
    case unreadable(String)
    /// A message type the version does not have; the id where it could be read.
    case unknownType(Int, MessageID?)
}
