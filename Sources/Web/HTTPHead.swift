/// The head of an answer as bytes. RFC 9112 §4.
enum HTTPHead {
    /// - Parameter length: nil where no length may be told: 204, 304 and streams.
    static func bytes(
        _ status: Int, _ headers: HTTPHeaders, length: Int?, closes: Bool, date: String?
    ) -> [UInt8] {
        var text = "HTTP/1.1 \(status) \(phrase(status))\r\n"
        if let date { text += "Date: \(date)\r\n" }
        if let length { text += "Content-Length: \(length)\r\n" }
        if closes { text += "Connection: close\r\n" }
        for field in headers.fields where HTTPHeaders.isSafe(field) && !isOurs(field.name) {
            text += "\(field.name): \(field.value)\r\n"
        }
        text += "\r\n"
        return Array(text.utf8)
    }

    private static func isOurs(_ name: String) -> Bool {
        for ours in ["Content-Length", "Connection", "Date", "Transfer-Encoding"]
        where HTTPHeaders.same(name, ours) {
            return true
        }
        return false
    }

    private static func phrase(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 201: "Created"
        case 202: "Accepted"
        case 204: "No Content"
        case 206: "Partial Content"
        case 301: "Moved Permanently"
        case 302: "Found"
        case 303: "See Other"
        case 304: "Not Modified"
        case 308: "Permanent Redirect"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 406: "Not Acceptable"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 410: "Gone"
        case 413: "Content Too Large"
        case 415: "Unsupported Media Type"
        case 416: "Range Not Satisfiable"
        case 422: "Unprocessable Content"
        case 426: "Upgrade Required"
        case 429: "Too Many Requests"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 507: "Insufficient Storage"
        default: "Status"
        }
    }
}
