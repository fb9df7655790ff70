import Charging
import Crypto
import HTTPClient
import Service

/// One mail for all that is due, as text.
package struct MailChannel: AlertChannel {
    package let name = "mail"
    package let mostAtOnce = 50
    private let sender: MailSender
    private let from: String
    private let to: [String]
    /// The operator's name, for the subject.
    private let house: String
    /// Where the console is, for the text.
    private let publicURL: String
    private let clock: any ServiceClock

    package init(
        _ sender: MailSender, from: String, to: [String], house: String, publicURL: String,
        clock: any ServiceClock = .system
    ) {
        self.sender = sender
        self.from = from
        self.to = to
        self.house = house
        self.publicURL = publicURL
        self.clock = clock
    }

    nonisolated(nonsending) package func tell(
        _ messages: [AlertMessage], more: Int
    ) async throws(AlertChannelError) {
        let letter = letter(of: messages, more: more, at: clock.now, id: UUID4.make())
        do throws(MailError) {
            try await sender.send(letter, from: from, to: to)
        } catch { throw AlertChannelError(error.reason) }
    }

    /// RFC 5322, with RFC 2047 in the subject and base64 in the body: what stations and partners wrote
    /// into it can be no header and no command.
    func letter(
        of messages: [AlertMessage], more: Int = 0, at now: Timestamp, id: String
    ) -> [UInt8] {
        var subject = "[\(house)] "
        if messages.count == 1, more == 0, let only = messages.first {
            subject += only.what == .ended ? "over: " : ""
            subject += "\(only.alert.kind.title): \(only.alert.subject)"
        } else {
            subject += "\(messages.count + more) alerts"
        }
        let text =
            messages.map(Self.line).joined(separator: "\r\n")
            + (more > 0 ? "\r\nand \(more) more" : "")
            + "\r\n\r\n\(publicURL)/console/alerts\r\n"
        let domain = from.split(separator: "@").last ?? "localhost"
        let head = [
            "From: \(from)", "To: \(to.joined(separator: ", "))",
            "Subject: \(Self.encodedWords(subject))", "Date: \(Self.date(now))",
            "Message-ID: <\(id)@\(domain)>", "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: base64",
        ]
        let body = Self.folded(Base64.encode(Array(text.utf8)), every: 76)
        return Array((head.joined(separator: "\r\n") + "\r\n\r\n" + body).utf8)
    }

    private static func line(_ message: AlertMessage) -> String {
        let alert = message.alert
        let state =
            switch message.what {
            case .raised, .renewed: ""
            case .ended: "over since \(alert.endedAt.map(\.rfc3339) ?? "now"): "
            }
        let text = "\(state)\(alert.kind.title): \(alert.subject), \(alert.detail)"
        return String(text.map { $0.isNewline ? " " : $0 })
    }

    /// RFC 2047 §2: words of at most 75 characters, cut between characters.
    static func encodedWords(_ text: String) -> String {
        var words: [String] = []
        var part: [UInt8] = []
        for character in text {
            let bytes = Array(String(character).utf8)
            if part.count + bytes.count > 42, !part.isEmpty {
                words.append("=?utf-8?B?\(Base64.encode(part))?=")
                part = []
            }
            part += bytes.prefix(42)
        }
        words.append("=?utf-8?B?\(Base64.encode(part))?=")
        return words.joined(separator: "\r\n ")
    }

    private static func folded(_ text: String, every count: Int) -> String {
        var lines = ""
        var rest = text[...]
        while !rest.isEmpty {
            lines += rest.prefix(count) + "\r\n"
            rest = rest.dropFirst(count)
        }
        return lines
    }

    /// RFC 5322 §3.3, in UTC.
    static func date(_ moment: Timestamp) -> String {
        let seconds = moment.milliseconds / 1000
        let days = seconds / 86_400
        let (year, month, day) = Timestamp.civil(days: days)
        let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let months = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ]
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let second = seconds % 86_400
        return "\(weekdays[Int(days % 7)]), \(day) \(months[Int(month) - 1]) \(year) "
            + "\(two(second / 3600)):\(two(second / 60 % 60)):\(two(second % 60)) +0000"
    }
}
