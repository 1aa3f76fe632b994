import { render } from 'preact';
import { Chat } from './chat';
import { App } from './components/App';
import { ChatContext } from './components/context';
import { Store } from './store';
import './styles/tokens.css';
import './styles/layout.css';
import './styles/thread.css';
import './styles/markdown.css';
import './styles/spots.css';
import './styles/composer.css';

const chat = new Chat(await Store.open());
document.documentElement.dataset['theme'] = chat.settings.value.theme;
const page = document.getElementById('page');
if (page) {
  render(
    <ChatContext.Provider value={chat}>
      <App />
    </ChatContext.Provider>,
    page,
  );
}
await chat.start();
