import JSON

/// The document of the API, made from the very table that serves it. OpenAPI 3.1.
enum OpenAPI {
    static func document(of routes: [APIRoute]) -> JSONValue {
        var paths: [String: JSONValue] = [:]
        for route in routes {
            let path = "/api/v1\(route.path)"
            var operations = paths[path]?.object ?? [:]
            operations[route.method.lowercased()] = operation(route)
            paths[path] = .object(operations)
        }
        return [
            "openapi": "3.1.0",
            "info": [
                "title": "Kerb admin API", "version": "1",
                "description": "Everything the console does goes through here.",
            ],
            "paths": .object(paths),
            "components": [
                "securitySchemes": [
                    "key": ["type": "http", "scheme": "bearer"],
                    "login": ["type": "apiKey", "in": "cookie", "name": "kerb"],
                ],
                "schemas": [
                    "Problem": [
                        "type": "object", "required": ["status", "title"],
                        "properties": [
                            "status": ["type": "integer"], "title": ["type": "string"],
                            "detail": ["type": "string"], "field": ["type": "string"],
                        ],
                    ]
                ],
            ],
        ]
    }

    private static func operation(_ route: APIRoute) -> JSONValue {
        var parameters: [JSONValue] = route.path.split(separator: "/").compactMap { segment in
            guard segment.hasPrefix("{") else { return nil }
            return [
                "name": .string(String(segment.dropFirst().dropLast())), "in": "path",
                "required": true, "schema": ["type": "string"],
            ]
        }
        parameters += route.query.map { parameter in
            [
                "name": .string(parameter.name), "in": "query",
                "description": .string(parameter.about), "schema": ["type": "string"],
            ]
        }
        var value: [String: JSONValue] = [
            "summary": .string(route.summary), "parameters": .array(parameters),
            "responses": [
                "default": [
                    "description": "what was asked for, or why not",
                    "content": [
                        "application/json": [:],
                        "application/problem+json": [
                            "schema": ["$ref": "#/components/schemas/Problem"]
                        ],
                    ],
                ]
            ],
        ]
        if let body = route.body {
            value["requestBody"] = [
                "description": .string(body), "required": true,
                "content": ["application/json": ["schema": ["type": "object"]]],
            ]
        }
        switch route.need {
        case .nothing: value["security"] = []
        case .role(let role):
            value["security"] = [["key": []], ["login": []]]
            value["description"] = .string("needs the role \(role.rawValue)")
        }
        return .object(value)
    }
}
