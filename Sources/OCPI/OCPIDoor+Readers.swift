// Whom the journal's readers serve.

extension OCPIDoor {
    /// The partner behind a reader of ours.
    static func peer(ofReader name: String) -> String? {
        let parts = name.split(separator: "/")
        return parts.count == 3 && parts[0] == "ocpi" ? String(parts[1]) : nil
    }
}
