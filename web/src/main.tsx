import { render } from 'preact';
import { Chat } from './chat';
import { App } from './components/App';
import { ChatContext } from './components/context';
import { loadSettings } from './settings';
import { Store } from './store';
import './styles/tokens.css';
import './styles/layout.css';
import './styles/thread.css';
import './styles/markdown.css';
import './styles/spots.css';
import './styles/composer.css';

document.documentElement.dataset['theme'] = loadSettings().theme; // first of all: the page must not flash in the other one
const chat = new Chat(await Store.open());
await chat.restore();
const page = document.getElementById('page');
if (page) {
  render(
    <ChatContext.Provider value={chat}>
      <App />
    </ChatContext.Provider>,
    page,
  );
}
await chat.findModels();
