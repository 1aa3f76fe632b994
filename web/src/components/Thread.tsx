import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { type Message, mediaOf, pathTo } from '../conversation';
import { useCell } from '../cell';
import { AnswerView } from './AnswerView';
import { IconButton } from './Icon';
import { QuestionView } from './QuestionView';
import { Welcome } from './Welcome';
import { useChat } from './context';

const NEAR = 80; // pixels from the end that still count as being there

/** The conversation. It follows an answer that grows, unless the reader has scrolled away. */
export function Thread() {
  const chat = useChat();
  const conversation = useCell(chat.current);
  const running = useCell(chat.running).has(conversation.id);
  const path = pathTo(conversation);
  const scroller = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const [away, setAway] = useState(false);

  const toEnd = () => scroller.current?.scrollTo({ top: scroller.current.scrollHeight });
  const scrolled = () => {
    const { scrollTop = 0, scrollHeight = 0, clientHeight = 0 } = scroller.current ?? {};
    follows.current = scrollHeight - scrollTop - clientHeight < NEAR;
    setAway(!follows.current);
  };
  useLayoutEffect(() => {
    follows.current = true;
    toEnd();
  }, [conversation.id, Object.keys(conversation.nodes).length]);
  useEffect(() => {
    const grown = new ResizeObserver(() => follows.current && toEnd());
    if (scroller.current?.firstElementChild) grown.observe(scroller.current.firstElementChild);
    return () => grown.disconnect();
  }, []);

  return (
    <div class="thread" ref={scroller} onScroll={scrolled}>
      <div class="column" role="region" aria-label="Conversation">
        {path.length === 0 ? <Welcome /> : path.map((message, k) => <Entry key={message.id} message={message} path={path.slice(0, k)} isFree={!running} />)}
      </div>
      {away && <IconButton icon="down" label="To the end" class="to-end" onClick={toEnd} />}
    </div>
  );
}

function Entry({ message, path, isFree }: { message: Message; path: Message[]; isFree: boolean }) {
  if (message.role === 'user') return <QuestionView message={message} isFree={isFree} />;
  return <AnswerView answer={message} media={mediaOf(path)} isFree={isFree} />;
}
