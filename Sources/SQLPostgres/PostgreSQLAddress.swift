import CPostgres
import Service

/// Where a PostgreSQL database is and how it is reached: a connection URL, as libpq reads it.
///
/// What it prints never holds the password.
package struct PostgreSQLAddress: Hashable, Sendable, CustomStringConvertible {
    let url: String
    /// Taken instead of one in the URL.
    let password: String?
    private var secrets: [String]

    /// What the URL itself says, by libpq's keywords.
    private(set) var options: [String: String] = [:]

    /// What is wrong with a URL.
    package struct Problem: Error, Hashable, CustomStringConvertible {
        package let description: String
    }

    package init(_ url: String, password: String? = nil) throws(Problem) {
        self.url = url
        self.password = password
        secrets = Self.secretPlaces(url).map { String(url[$0]) } + [password ?? ""]
        guard Self.isOne(url) else {
            throw Problem(
                description: "\(Self.hidingSecrets(url)) does not begin with postgresql://")
        }
        options = try parsed()
        // An error may repeat it as it reads, not as it is written in a URL.
        secrets += ["password", "sslpassword"].map { options[$0] ?? "" }
    }

    package static func isOne(_ text: String) -> Bool {
        text.hasPrefix("postgresql://") || text.hasPrefix("postgres://")
    }

    package var description: String { Self.hidingSecrets(url) }

    /// The database is on another machine, and the URL does not say how well it is protected: libpq
    /// would then take a connection without TLS where it gets no other.
    package var leavesProtectionOpen: Bool {
        options["sslmode"] == nil
            && Self.hosts(options).contains { host in
                !host.isEmpty && !host.hasPrefix("/") && host != "localhost" && host != "::1"
                    && !host.hasPrefix("127.")
            }
    }

    private static func hosts(_ options: [String: String]) -> [String] {
        let text = [options["host"] ?? "", options["hostaddr"] ?? ""].joined(separator: ",")
        return text.split(separator: ",").map(String.init)
    }

    private func parsed() throws(Problem) -> [String: String] {
        var message: UnsafeMutablePointer<CChar>?
        guard let first = PQconninfoParse(url, &message) else {
            let text = message.map { String(cString: $0) } ?? "out of memory"
            PQfreemem(message)
            throw Problem(description: "the URL \(self): \(cleaned(text))")
        }
        defer { PQconninfoFree(first) }
        var options: [String: String] = [:]
        var option = first
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val {
                options[String(cString: keyword)] = String(cString: value)
            }
            option += 1
        }
        return options
    }

    /// A message of libpq or of the server in one line, without the password.
    func cleaned(_ message: String) -> String {
        var text = message.split(separator: "\n").map { line in
            var line = line
            while line.first == " " || line.first == "\t" { line.removeFirst() }
            return String(line)
        }.joined(separator: "; ")
        for secret in secrets where !secret.isEmpty {
            text = text.replacing(text: secret, with: "…")
        }
        return text
    }

    package static func hidingSecrets(_ url: String) -> String {
        var text = url
        for place in secretPlaces(url).reversed() { text.replaceSubrange(place, with: "…") }
        return text
    }

    /// `user:SECRET@`, and `password=SECRET` or a key's `sslpassword=SECRET` among the parameters.
    private static func secretPlaces(_ url: String) -> [Range<String.Index>] {
        var places: [Range<String.Index>] = []
        let scheme = url.parts(between: "://", most: 1)
        guard scheme.count == 2 else { return [] }
        let start = url.index(url.startIndex, offsetBy: scheme[0].count + 3)
        // A password with a slash that was not encoded is still one: all up to the last @ before the
        // parameters. So is one with a question mark, which libpq takes up to the host.
        let question = url[start...].firstIndex(of: "?") ?? url.endIndex
        let slash = url[start...].firstIndex(of: "/") ?? url.endIndex
        var key = question
        if let colon = url[start..<question].firstIndex(of: ":"),
            let at = url[colon..<question].lastIndex(of: "@")
                ?? url[colon..<max(colon, slash)].lastIndex(of: "@")
        {
            places.append(url.index(after: colon)..<at)
            key = url[at...].firstIndex(of: "?") ?? url.endIndex
        }
        while key < url.endIndex {
            key = url.index(after: key)
            let end = url[key...].firstIndex(of: "&") ?? url.endIndex
            if let equals = url[key..<end].firstIndex(of: "="),
                url[key..<equals] == "password" || url[key..<equals] == "sslpassword"
            {
                places.append(url.index(after: equals)..<end)
            }
            key = end
        }
        return places
    }
}
