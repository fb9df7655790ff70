import Charging
import JSON
import Web

/// OCPI's own status codes. OCPI 2.2.1 §5.
enum StatusCode {
    static let success = 1000
    static let clientError = 2000
    static let invalidParameter = 2001
    static let unknownLocation = 2003
    static let unknownToken = 2004
    static let serverError = 3000
    static let cannotUseClient = 3001
    static let unsupportedVersion = 3002
    static let missingEndpoints = 3003
}

/// What a request is answered with, before it is put into the envelope. OCPI 2.2.1 §4.1.7.
struct OCPIReply: Sendable {
    var httpStatus: Int
    var code: Int
    var message: String?
    var data: JSONValue?
    var headers: HTTPHeaders = [:]

    static func success(_ data: JSONValue? = nil, created: Bool = false) -> Self {
        OCPIReply(httpStatus: created ? 201 : 200, code: StatusCode.success, data: data)
    }

    /// Authenticated, readable, but it cannot be honoured: HTTP 200 with a code from 2000 up.
    static func refusal(_ code: Int, _ message: String, data: JSONValue? = nil) -> Self {
        OCPIReply(httpStatus: 200, code: code, message: message, data: data)
    }

    static func unauthorized(_ message: String) -> Self {
        OCPIReply(
            httpStatus: 401, code: StatusCode.clientError, message: message,
            headers: ["WWW-Authenticate": "Token"])
    }

    static func notFound(_ message: String, code: Int = StatusCode.clientError) -> Self {
        OCPIReply(httpStatus: 404, code: code, message: message)
    }

    static func notAllowed(_ allowed: String, _ message: String) -> Self {
        OCPIReply(
            httpStatus: 405, code: StatusCode.clientError, message: message,
            headers: ["Allow": allowed])
    }

    static func badRequest(_ message: String) -> Self {
        OCPIReply(httpStatus: 400, code: StatusCode.clientError, message: message)
    }

    static let failed = OCPIReply(
        httpStatus: 500, code: StatusCode.serverError, message: "try again later")

    /// - Parameter ours: the party that answers, on functional modules; nil leaves routing out.
    func response(to request: HTTPRequest, from ours: PartyID?, at now: Timestamp) -> HTTPResponse {
        var headers = headers
        for name in ["X-Request-ID", "X-Correlation-ID"] {
            if let value = request.headers[name] { headers.add(name, value) }
        }
        if let ours, let country = request.headers["OCPI-from-country-code"],
            let party = request.headers["OCPI-from-party-id"]
        {
            headers.add("OCPI-to-country-code", country)
            headers.add("OCPI-to-party-id", party)
            headers.add("OCPI-from-country-code", ours.country)
            headers.add("OCPI-from-party-id", ours.party)
        }
        let envelope: JSONValue = .members([
            "data": data, "status_code": .number(code),
            "status_message": message.map { .string($0) }, "timestamp": .time(now),
        ])
        return .json(envelope, status: httpStatus, headers: headers)
    }
}
