/// What a message can carry of a token. OCPP 1.6 §7.13 has twenty characters.
///
/// Doors refuse others before anything starts; this is for what came by another way, and for charges
/// of a program that let them in.
enum TellableToken {
    static let characters = 20
    /// For a charge whose token was empty: the operator knows no such tag and keeps the charge to look at.
    static let none = "KERB-NO-TOKEN"

    static func isTellable(_ token: String) -> Bool {
        !token.isEmpty && token.unicodeScalars.count <= characters
    }

    /// Before what is left of a token that was too long: its first twenty characters alone may be another
    /// customer's tag.
    static let cutMark = "KERB-CUT-"

    /// The mark and the first eleven characters. A start that is told under a cut token is a charge that a
    /// person can find and bill; one that is never told is energy given away.
    static func cut(_ token: String) -> String {
        if token.isEmpty { return none }
        if isTellable(token) { return token }
        let left = token.unicodeScalars.prefix(characters - cutMark.unicodeScalars.count)
        return cutMark + String(String.UnicodeScalarView(left))
    }
}
