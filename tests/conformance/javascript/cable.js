// The server of the cable protocol, which Action Cable and AnyCable share.
"use strict";

const ping = (socket) => socket.message('{"type":"ping","message":1}');

function disconnect(socket, reason) {
  socket.server.ended();
  return socket.message(JSON.stringify({ type: "disconnect", reason, reconnect: false }));
}

const protocol = {
  opened(socket) {
    if (socket.step.do === "open") return socket.drop();
    if (socket.step.do === "connect-error") return disconnect(socket, "unauthorized");
    socket.message('{"type":"welcome"}');
    setInterval(() => ping(socket), 3000);
    return socket.joined();
  },
  "namespace-disconnect": (socket) => disconnect(socket, "remote"),
};

module.exports = { ping, protocol };
