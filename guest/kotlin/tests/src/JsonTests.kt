package qyv

fun jsonTests() = test("fields and elements of a description are found") {
    val text = """{"name":"db","description":"\"protocol\":\"stream\", [{","up":true,"protocol":"frames",
        "ports":[{"port":null,"protocol":"frames"},{"port":2,"protocol":"lines","up":false}]}"""
    val info = JsonText(text)
    same("frames", info.field("protocol"))
    same("\"protocol\":\"stream\", [{", info.field("description"))
    same("true", info.field("up"))
    same(null, info.field("protocols"))
    same("lines", info.elements("ports").first { it.field("port") == "2" }.field("protocol"))
    same(0, info.elements("none").size)
    for (broken in listOf("", "{", "[", "\"", "{\"a", "{\"a\":", "null", "{]}")) same(null, JsonText(broken).field("protocol"))
}
