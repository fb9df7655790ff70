/// Carries files to and from places that the operator names. The roof gives libcurl's, a test its
/// own.
package protocol FileCarriage: Sendable {
    /// Fetches into `path`. `tagged` hears a tag by which a later try can go on from where this one
    /// breaks, or that there is none, before the first byte.
    func download(
        _ url: String, to path: String, limitBytes: Int64, resuming tag: String?,
        tagged: @escaping @Sendable (String?) -> Void
    ) async throws(CarriageError)
    func upload(_ path: String, to url: String) async throws(CarriageError)
    /// The URL without log-in and query, for the log.
    func masked(_ url: String) -> String
}

/// Why a file did not arrive.
package struct CarriageError: Error, Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// The place cannot be used at all: no URL, or one that carries no files.
        case badPlace
        /// The rules of the board or the place itself refuse.
        case notPermitted
        case other
    }

    package var kind: Kind
    /// Whether the same try may end otherwise later.
    package var mayHeal: Bool
    /// For the log; without anything secret.
    package var text: String

    package init(_ kind: Kind, mayHeal: Bool, _ text: String) {
        self.kind = kind
        self.mayHeal = mayHeal
        self.text = text
    }
}
