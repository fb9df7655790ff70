/// The id that ties an answer to its call. OCPP-J 1.6 §4.1.4.
///
/// Some stations send a number; it is echoed in the same JSON type and digits.
package struct MessageID: Hashable, Sendable {
    package var text: String
    package var isNumber: Bool

    package init(_ text: String, isNumber: Bool = false) {
        self.text = text
        self.isNumber = isNumber
    }

    /// The id of an answer to a frame whose own id nobody could read. OCPP 2.0.1 part 4 §4.2.
    package static let unreadable = MessageID("-1")
}
