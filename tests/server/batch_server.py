"""A server in a process of its own, to be killed: `python -m tests.server.batch_server DATA PORT_FILE`. It says again what it is asked."""

import asyncio
import re
import sys
from pathlib import Path

from kimi_vl.llm.async_kimi_vl import Said
from kimi_vl.server import ServerOptions, create_app
from kimi_vl.server.run import Runner
from tests.server.serving import Script, ScriptedAnswer, ScriptedModel

ANSWER_S = 0.03


class EchoAnswer(ScriptedAnswer):
    async def __aiter__(self):
        await asyncio.sleep(ANSWER_S)
        prompt = self._model.processor.tokenizer.decode(self._question.input_ids)
        yield Said("text", re.findall(r"number \d+", prompt)[-1])


class EchoModel(ScriptedModel):
    async def answer(self, question, params, *, n=1, grammar=None, searches_stops=None):
        return [EchoAnswer(Script(), question, self) for _ in range(n)]


class Announced(Runner):
    async def startup(self, sockets=None):
        await super().startup(sockets)
        written = Path(sys.argv[2]).with_suffix(".incoming")
        written.write_text(str(self.port))
        written.rename(sys.argv[2])


if __name__ == "__main__":
    runner = Announced(create_app(EchoModel(max_running=4), ServerOptions(port=0, data=sys.argv[1])))
    runner.run()
    sys.exit(runner.exit_code)
